// version.c - the library is the one of the header.
#include <stdio.h>

#include <cdl/cdl.h>

int main(void) {
    printf("Cardinal %s\n", cdl_version());
    return cdl_version_number() == CDL_VERSION_NUMBER ? 0 : 1;
}
