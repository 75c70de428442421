// page_plots.h - the plots of compare_html.c's page, a section each; one that has nothing to show writes nothing.
#ifndef CARDINAL_PAGE_PLOTS_H_
#define CARDINAL_PAGE_PLOTS_H_

#include "bench/results.h"

const char *page_column_name(const struct results *r, int column, char out[200]);
void page_put_rates(FILE *file, const struct comparison *c);  // by batch
void page_put_rooflines(FILE *file, const struct results *r); // of every layer
void page_put_kinds(FILE *file, const struct results *r);     // the layers' time by kind of operation
void page_put_starts(FILE *file, const struct results *r);    // from nothing to a first result
void page_put_sustained(FILE *file, const struct results *r); // half a minute and the like

#endif // CARDINAL_PAGE_PLOTS_H_
