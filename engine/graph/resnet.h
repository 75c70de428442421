// resnet.h - a ResNet-like network inferred from a state dict's names and shapes.
//
// ResNet, ResNeXt and Wide ResNet (He et al. 2015, Xie et al. 2016, Zagoruyko & Komodakis 2016) as torchvision lays
// them out and names their tensors: conv1, bn1, an optional max-pool, layer1 to layer4 of basic or bottleneck blocks,
// global average pool, fc. Shapes tell everything but strides and pooling, which the model's recipe tells.
#ifndef CDL_RESNET_H_
#define CDL_RESNET_H_

#include "graph/graph.h"

// Builds the graph for one input size, to be destroyed by cdl_graph_destroy. With `fold`, a batch norm is folded into
// the convolution before it; without, it is an operation of its own. Checks every shape: CDL_ERR_FORMAT names the
// missing or misshapen tensor. Tensors are borrowed from the model.
cdl_result cdl_graph_create(struct cdl_graph *out, const struct cdl_model *model, int height, int width, bool fold,
                            const cdl_log *log);

// "resnext50_32x4d" where the state dict's shapes are torchvision's, else a description such as "resnext [2,2,2] 16x4d"
// (blocks of each stage, groups x width of a group; a "d" at the end: bottleneck blocks).
// used[i] becomes true for each tensor of the model's list that the network needs; they are false before.
// CDL_ERR_FORMAT when it is no ResNet-like network.
cdl_result cdl_infer_architecture(const struct cdl_model *model, char name[64], int *num_classes, bool *used,
                                  const cdl_log *log);

#endif // CDL_RESNET_H_
