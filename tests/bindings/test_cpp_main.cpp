// test_cpp_main.cpp - runs test_cpp.cpp in both kinds: test_cpp MODEL
#include <cstdio>

int test_throwing(const char *path);
int test_returning(const char *path);

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    const int failures = test_throwing(argv[1]) + test_returning(argv[1]);
    std::printf("%d failed\n", failures);
    return failures ? 1 : 0;
}
