// imagenet_labels.h - the names of ImageNet-1K's classes, for 1000-class files that bring none.
#ifndef CARDINAL_IMAGENET_LABELS_H_
#define CARDINAL_IMAGENET_LABELS_H_

enum { IMAGENET_CLASSES = 1000 };

// Index = class. Plain ASCII, no two alike.
extern const char *const imagenet_labels[IMAGENET_CLASSES];
// Their WordNet ids, "n01440764", in ascending order.
extern const char *const imagenet_wnids[IMAGENET_CLASSES];

#endif // CARDINAL_IMAGENET_LABELS_H_
