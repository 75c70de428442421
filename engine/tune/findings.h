// findings.h - what was learnt of a device: the fastest kernel for some work, the best segment of a plan, and which
// kernels compute what they should. Plain data, no Vulkan: a sorted table that goes to a cache file and comes back.
#ifndef CDL_FINDINGS_H_
#define CDL_FINDINGS_H_

#include "plan/plan.h"

enum { CDL_FINDING_KEY = 256 };

struct cdl_finding {
    enum cdl_finding_kind {
        CDL_FOUND_KERNEL,  // mode, ns, kernel
        CDL_FOUND_SEGMENT, // mode, segment
        CDL_FOUND_CHECK,   // passed
    } kind;
    char key[CDL_FINDING_KEY]; // what it is about, by one of the functions below; equal keys mean equal questions
    cdl_tune mode;             // how thorough the measurement was: CDL_TUNE_QUICK or CDL_TUNE_FULL
    uint64_t ns;               // the kernel's time
    uint64_t kernel;           // cdl_program_id of the fastest; 0: of two operations, none for both
    struct cdl_segment segment;
    bool passed;
};

struct cdl_findings {
    struct cdl_finding *items; // [count], sorted by key
    int count, capacity;
    bool changed; // since they were read or written
};

// NULL: nothing is known. Valid until the next cdl_findings_set.
const struct cdl_finding *cdl_findings_find(const struct cdl_findings *findings, const char *key);
// Adds a finding, or replaces the one of the same key. false: no memory, or the key is not storable.
bool cdl_findings_set(struct cdl_findings *findings, const struct cdl_finding *finding);
void cdl_findings_free(struct cdl_findings *findings);

// The table as text, malloc'd: a line a finding, its fields separated by tabs. NULL: no memory.
char *cdl_findings_format(const struct cdl_findings *findings, size_t *size);
// Adds the findings of such a text. A line that is none, in any field, is passed over.
void cdl_findings_parse(struct cdl_findings *findings, const char *text, size_t size);

// Keys: of the fastest kernel for some work at a batch, of a plan's segment, of a program's check.
void cdl_work_key(char out[CDL_FINDING_KEY], const struct cdl_work *work, int batch, bool fp16);
void cdl_segment_key(char out[CDL_FINDING_KEY], const struct cdl_plan *plan);
void cdl_check_key(char out[CDL_FINDING_KEY], const struct cdl_program *program);

#endif // CDL_FINDINGS_H_
