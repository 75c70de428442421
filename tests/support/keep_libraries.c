// keep_libraries.c - preloaded under LeakSanitizer: libraries stay mapped, so that what a Vulkan driver leaks bears the
// driver's name, and tests/support/lsan.supp can tell it from our own.
int dlclose(void *handle);
int dlclose(void *handle) {
    (void)handle;
    return 0;
}
