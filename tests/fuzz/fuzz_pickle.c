// fuzz_pickle.c - a pickle stream. What was built of it can be walked: every index lies within its table.
#include "fuzz/fuzz.h"

#include "model/pickle.h"

static void walk(const struct cdl_pickle *p) {
    FUZZ_REQUIRE(p->root < p->num_nodes);
    for (size_t i = 0; i < p->num_nodes; i++) {
        const struct cdl_pickle_node *node = &p->nodes[i];
        FUZZ_REQUIRE(cdl_pickle_kind_name(node));
        cdl_pickle_get_type(node);
        switch (node->kind) {
        case CDL_PICKLE_TEXT:
        case CDL_PICKLE_BYTES:
        case CDL_PICKLE_BIG_INT:
            FUZZ_REQUIRE(node->u.text >= p->data && node->count <= (size_t)(p->data + p->size - node->u.text));
            cdl_pickle_is_text(node, "state_dict");
            break;
        case CDL_PICKLE_DICT: cdl_pickle_get(p, node, "state_dict"); // fall through
        case CDL_PICKLE_TUPLE:
        case CDL_PICKLE_LIST:
            for (uint32_t k = 0; k < node->count && k < 8; k++) {
                const struct cdl_pickle_node *item = cdl_pickle_item(p, node, k);
                FUZZ_REQUIRE(item && item >= p->nodes && item < p->nodes + p->num_nodes);
            }
            FUZZ_REQUIRE(!cdl_pickle_item(p, node, node->count));
            break;
        default: break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int errors = 0;
    const cdl_log log = fuzz_log(&errors);
    struct cdl_pickle p;
    const cdl_result r = cdl_pickle_read(&p, data, size, "input", &log);
    FUZZ_REQUIRE(errors == (r != CDL_OK));
    if (r == CDL_OK) {
        FUZZ_REQUIRE(p.position <= size);
        walk(&p);
    }
    cdl_pickle_free(&p);
    return 0;
}
