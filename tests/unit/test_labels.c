// test_labels.c - class names in every form, and every way to write them wrongly; and text for terminals.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inputs/labels.h"
#include "system/text.h"
#include "system/text_set.h"

#define LABELS "cardinal-test-labels"

struct form {
    const char *bytes;
    size_t size;
    const char *expected; // names with '|' behind each; or '!' and a part of the error
    const char *wordnet;  // the same of the WordNet numbers; NULL: there are none
};
#define BYTES(text) text, sizeof(text) - 1

static void check(const struct form *form) {
    FILE *file = fopen(LABELS, "wb");
    assert_non_null(file);
    fwrite(form->bytes, 1, form->size, file);
    fclose(file);
    struct label_list labels;
    char error[512] = "", found[512] = "", wordnet[512] = "";
    const bool ok = labels_read(LABELS, &labels, error, sizeof(error));
    for (int i = 0; i < labels.count; i++) {
        strcat(strcat(found, labels.names[i]), "|");
        if (labels.wordnet)
            strcat(strcat(wordnet, labels.wordnet[i]), "|");
    }
    if (form->expected[0] == '!') {
        if (ok || !strstr(error, form->expected + 1) || strncmp(error, LABELS ": ", strlen(LABELS) + 2) ||
            strchr(error, '\n'))
            fail_msg("\"%s\": \"%s\" lacks \"%s\"", form->bytes, error, form->expected + 1);
        assert_int_equal(labels.count, 0);
        assert_null(labels.names);
    } else {
        if (!ok)
            fail_msg("\"%s\": %s", form->bytes, error);
        assert_string_equal(found, form->expected);
        assert_string_equal(wordnet, form->wordnet ? form->wordnet : "");
    }
    labels_free(&labels);
    remove(LABELS);
}

static void test_lines(void **state) {
    (void)state;
    static const struct form forms[] = {
        {BYTES("cat\ndog\n"), "cat|dog|", NULL},
        {BYTES("cat\ndog"), "cat|dog|", NULL},
        {BYTES("\xef\xbb\xbf"
               "cat\r\ndog\r\n\r\n"),
         "cat|dog|", NULL},
        {BYTES("cat\rdog\r"), "cat|dog|", NULL},
        {BYTES("\ncat\n\ndog\n\n"), "|cat||dog|", NULL}, // a line is a class, named or not
        {BYTES("\"cat\"\n"), "\"cat\"|", NULL},
        {BYTES("caf\xc3\xa9\n\xe7\x8c\xab\n"), "caf\xc3\xa9|\xe7\x8c\xab|", NULL},
        {BYTES("n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n"),
         "tench, Tinca tinca|goldfish, Carassius auratus|", "n01440764|n01443537|"},
        {BYTES("\xef\xbb\xbf"
               "n01440764\ttench\r\nn01443537\tgoldfish\r\n"),
         "tench|goldfish|", "n01440764|n01443537|"},
        {BYTES("n01440764\nn01443537\n"), "n01440764|n01443537|", NULL},
        {BYTES("n01440764 tench\ngoldfish\n"), "n01440764 tench|goldfish|", NULL}, // no synset file: as it stands
        {BYTES(""), "!holds no label", NULL},
        {BYTES("\xef\xbb\xbf\n\n"), "!holds no label", NULL},
        {BYTES("cat\nd\xffg\n"), "!line 2 is not UTF-8", NULL},
        {BYTES("cat\ndog\nbi\x1b[31mrd\n"), "!line 3 is not UTF-8 text of at most", NULL},
        {BYTES("cat\nd\0g\n"), "!line 2 holds a NUL byte", NULL},
        {BYTES("\xff\xfe"
               "c\0a\0t\0"),
         "!is UTF-16; save it as UTF-8", NULL},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        check(&forms[i]);
}

static void test_json(void **state) {
    (void)state;
    static const struct form forms[] = {
        {BYTES("[\"cat\", \"dog\"]"), "cat|dog|", NULL},
        {BYTES("\xef\xbb\xbf\r\n [\"cat\",\r\n\"dog\"]\r\n"), "cat|dog|", NULL},
        {BYTES("{\"0\": \"cat\", \"1\": \"dog\"}"), "cat|dog|", NULL},
        {BYTES("{\"1\": \"dog\", \"10\": \"k\", \"0\": \"cat\", \"2\": \"c\", \"3\": \"d\", \"4\": \"e\", \"5\": \"f\","
               "\"6\": \"g\", \"7\": \"h\", \"8\": \"i\", \"9\": \"j\"}"),
         "cat|dog|c|d|e|f|g|h|i|j|k|", NULL},
        {BYTES("{\"0\": [\"n01440764\", \"tench\"], \"1\": [\"n01443537\", \"goldfish\"]}"), "tench|goldfish|",
         "n01440764|n01443537|"}, // Keras's imagenet_class_index.json
        {BYTES("[[\"n01440764\", \"tench\"], [\"n01443537\", \"goldfish\"]]"), "tench|goldfish|",
         "n01440764|n01443537|"},
        {BYTES("{\"0\": [\"n01440764\", \"tench\"], \"1\": \"goldfish\"}"), "tench|goldfish|", NULL},
        {BYTES("{\"dog\": 1, \"cat\": 0}"), "cat|dog|", NULL}, // ImageFolder's class_to_idx
        {BYTES("[\n\"cat\",\n]"), "!line 3: the JSON is broken", NULL},
        {BYTES("[\n\"cat\"\n\"dog\"]"), "!line 3: the JSON is broken", NULL},
        {BYTES("{\"0\": \"cat\""), "!line 1: the JSON is broken", NULL},
        {BYTES("[\"cat\"]\n[\"dog\"]"), "!line 2: the JSON is broken", NULL},
        {BYTES("[\"c\xff\"]"), "!line 1: the JSON is broken", NULL},
        {BYTES("[]"), "!holds no label", NULL},
        {BYTES("{}"), "!holds no label", NULL},
        {BYTES("[\"cat\", 3]"), "!class 1 is neither a string nor", NULL},
        {BYTES("[[\"cat\", \"dog\"], [\"a\", \"b\"]]"), "!class 0: two strings, but the first is no WordNet", NULL},
        {BYTES("[\"c\\u001b[31mat\"]"), "!the name of class 0 is not UTF-8 text", NULL},
        {BYTES("[\"c\\u0000at\"]"), "!line 1: the JSON is broken", NULL},
        {BYTES("{\"0\": \"cat\", \"2\": \"dog\"}"), "!\"2\": classes are expected as", NULL},
        {BYTES("{\"1\": \"cat\", \"2\": \"dog\"}"), "!\"2\": classes are expected as", NULL},
        {BYTES("{\"0\": \"cat\", \"0\": \"dog\"}"), "!line 1: the JSON is broken: duplicate", NULL},
        {BYTES("{\"0\": \"cat\", \"00\": \"dog\"}"), "!\"00\": classes are expected as", NULL},
        {BYTES("{\"cat\": 0, \"dog\": 0}"), "!class 0 has two names", NULL},
        {BYTES("{\"cat\": 0, \"dog\": -1}"), "!\"dog\": classes are expected as", NULL},
        {BYTES("{\"labels\": [\"cat\"]}"), "!\"labels\": classes are expected as", NULL},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        check(&forms[i]);
}

static void test_many_labels(void **state) {
    (void)state;
    FILE *file = fopen(LABELS, "wb");
    assert_non_null(file);
    for (int i = 0; i < 30000; i++)
        fprintf(file, "the class of number %d\r\n", i);
    fclose(file);
    struct label_list labels;
    char error[256];
    assert_true(labels_read(LABELS, &labels, error, sizeof(error)));
    assert_int_equal(labels.count, 30000);
    assert_string_equal(labels.names[29999], "the class of number 29999");
    labels_free(&labels);
    remove(LABELS);
    assert_false(labels_read("no-such-file", &labels, error, sizeof(error)));
    assert_non_null(strstr(error, "no-such-file: the label file cannot be opened"));
    assert_false(labels_read(".", &labels, error, sizeof(error)));
}

static void test_escapes(void **state) {
    (void)state;
    static const char *const texts[][2] = {
        {"a b.jpg", "a b.jpg"},
        {"caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\xb1", "caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\xb1"},
        {"e\x1b[31mred", "e\\x1b[31mred"},
        {"a\nb\tc\rd\x7f\b", "a\\x0ab\\x09c\\x0dd\\x7f\\x08"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b"
         "31m"}, // U+009B, as good as ESC [
        {"\x9b"
         "31m \xff",
         "\\x9b"
         "31m \\xff"},                                         // the same for a terminal that knows no UTF-8
        {"\xe7\x8c", "\\xe7\\x8c"},                            // cut off
        {"\xed\xa0\x80\xc0\x9b", "\\xed\\xa0\\x80\\xc0\\x9b"}, // a surrogate; a control written too long
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char out[64], cut[8];
        escape_controls(out, sizeof(out), texts[i][0]);
        assert_string_equal(out, texts[i][1]);
        assert_int_equal(is_printable_text(texts[i][0]), !strcmp(texts[i][0], texts[i][1]));
        escape_controls(cut, sizeof(cut), texts[i][0]);
        assert_true(strlen(cut) < sizeof(cut) && !strncmp(cut, texts[i][1], strlen(cut)));
    }
}

static void test_set(void **state) {
    (void)state;
    struct text_set set = {0};
    char text[16];
    assert_false(text_set_has(&set, ""));
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "%d", i * i % 20011);
        assert_true(text_set_add(&set, text));
        assert_true(text_set_has(&set, text));
    }
    assert_int_equal(set.count, 10006); // squares modulo a prime, 0 among them
    assert_false(text_set_has(&set, "20011"));
    text_set_clear(&set);
    assert_false(text_set_has(&set, "0"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),   cmocka_unit_test(test_json), cmocka_unit_test(test_many_labels),
        cmocka_unit_test(test_escapes), cmocka_unit_test(test_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
