// page.h - what pages have in common that are one file and need nothing else: their head and style, and text as HTML's.
#ifndef CARDINAL_PAGE_H_
#define CARDINAL_PAGE_H_

#include <stdint.h>
#include <stdio.h>

// Up to the body's first line; `styles`, which NULL ends, are added to the one that all pages have. The page forbids
// itself any request. Colours are --back, --text, --soft, --line, --panel, --good, --bad and --bar, light and dark.
void page_begin(FILE *file, const char *title, const char *const *styles);
void page_end(FILE *file, const char *written_by);

// Text in any encoding as HTML's; what no file may hold becomes U+FFFD.
void page_text(FILE *file, const char *text);
void page_png(FILE *file, const uint8_t *data, int size); // as the value of src=

#endif // CARDINAL_PAGE_H_
