// page.c - see page.h.
#include "html/page.h"

#include "commands/report.h"

static const char common_style[] =
    ":root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--soft:#5c6672;--line:#d8dee4;--panel:#f6f8fa;"
    "--good:#1a7f4b;--bad:#c2410c;--bar:#3b6fd4}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#14171b;--text:#e6e9ed;--soft:#9aa4af;--line:#343b44;"
    "--panel:#1d2228;--good:#4cc38a;--bad:#f08c5a;--bar:#7aa5ff}}\n"
    "body{margin:0 auto;max-width:1100px;padding:24px;font:15px/1.5 system-ui,sans-serif;background:var(--back);"
    "color:var(--text)}\n"
    "h1{font-size:26px;margin:0}h2{font-size:19px;margin:36px 0 12px}p{margin:6px 0}.soft{color:var(--soft)}\n"
    ".figures{display:flex;flex-wrap:wrap;gap:12px;margin:20px 0}.figures div{background:var(--panel);border:1px solid "
    "var(--line);border-radius:8px;padding:10px 16px}.figures b{display:block;font-size:24px;line-height:1.2}\n"
    ".good{color:var(--good)}.bad{color:var(--bad)}\n"
    "table{border-collapse:collapse;font-size:13px}td,th{padding:2px 10px 2px 0;text-align:left;font-weight:normal}\n"
    "th{color:var(--soft)}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    "svg{max-width:100%;height:auto}svg text{fill:var(--text)}\n";

void page_text(FILE *file, const char *text) {
    json_t *clean = json_text(text);
    for (const char *c = clean ? json_string_value(clean) : ""; *c; c++)
        switch (*c) {
        case '&': fputs("&amp;", file); break;
        case '<': fputs("&lt;", file); break;
        case '>': fputs("&gt;", file); break;
        case '"': fputs("&quot;", file); break;
        case '\'': fputs("&#39;", file); break;
        default:
            if ((unsigned char)*c < ' ' || *c == 127)
                fputs("&#xFFFD;", file);
            else
                fputc(*c, file);
        }
    json_decref(clean);
}

void page_png(FILE *file, const uint8_t *data, int size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    fputs("data:image/png;base64,", file);
    for (int i = 0; i < size; i += 3) {
        const uint32_t v = (uint32_t)data[i] << 16 | (i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0) |
                           (i + 2 < size ? (uint32_t)data[i + 2] : 0);
        const char group[4] = {digits[v >> 18], digits[v >> 12 & 63], i + 1 < size ? digits[v >> 6 & 63] : '=',
                               i + 2 < size ? digits[v & 63] : '='};
        fwrite(group, 1, 4, file);
    }
}

void page_begin(FILE *file, const char *title, const char *const *styles) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
          "img-src data:\">\n<title>",
          file);
    page_text(file, title);
    fprintf(file, "</title>\n<style>\n%s", common_style);
    for (; *styles; styles++)
        fputs(*styles, file);
    fputs("</style></head><body>\n", file);
}

void page_end(FILE *file, const char *written_by) {
    fprintf(file, "<p class=\"soft\">Written by %s.</p>\n</body></html>\n", written_by);
}
