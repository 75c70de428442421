// Under which names ResNets' tensors are found: what others call what torchvision calls conv1, layer1.0.bn2, fc.
//
// Two words a line, FROM TO, on names without their last part (weight, bias, running_mean ...):
//   linear          fc              a module
//   block{s}.{b}.*  layer{s}.{b}.*  the modules of a block; what stands for * is looked up among the next kind
//   *.shortcut.0    *.downsample.0  a module within a block
//   aux.*           -               no part of the network
// {s} is a number, {s+1} the next one and {s-1} the one before; # begins a comment. The first line that fits counts.
// A user's own lines (cdl_model_params.names) come before these.
#include "model/schemes.h"

const char cdl_schemes[] =
    // torchvision, timm, Cadene
    "conv1 conv1\n"
    "bn1 bn1\n"
    "layer{s}.{b}.* layer{s}.{b}.*\n"
    "*.conv{k} *.conv{k}\n"
    "*.bn{k} *.bn{k}\n"
    "*.downsample.{k} *.downsample.{k}\n"
    "fc fc\n"
    "last_linear fc\n"
    "layer0.conv1 conv1\n"
    "layer0.bn1 bn1\n"
    // kuangliu/pytorch-cifar, akamaster/pytorch_resnet_cifar10 and many after them
    "linear fc\n"
    "classifier fc\n"
    "*.shortcut.{k} *.downsample.{k}\n"
    // Hugging Face's ResNetForImageClassification
    "embedder.embedder.convolution conv1\n"
    "embedder.embedder.normalization bn1\n"
    "encoder.stages.{s}.layers.{b}.* layer{s+1}.{b}.*\n"
    "*.layer.{k}.convolution *.conv{k+1}\n"
    "*.layer.{k}.normalization *.bn{k+1}\n"
    "*.shortcut.convolution *.downsample.0\n"
    "*.shortcut.normalization *.downsample.1\n"
    "classifier.1 fc\n"
    // MMClassification
    "head.fc fc\n"
    // prlz77/ResNeXt.pytorch
    "conv_1_3x3 conv1\n"
    "bn_1 bn1\n"
    "stage_{s}.stage_{s}_bottleneck_{b}.* layer{s}.{b}.*\n"
    "*.conv_reduce *.conv1\n"
    "*.bn_reduce *.bn1\n"
    "*.conv_conv *.conv2\n"
    "*.bn *.bn2\n"
    "*.conv_expand *.conv3\n"
    "*.bn_expand *.bn3\n"
    "*.shortcut.shortcut_conv *.downsample.0\n"
    "*.shortcut.shortcut_bn *.downsample.1\n"
    // weiaicunzai/pytorch-cifar100
    "conv1.0 conv1\n"
    "conv1.1 bn1\n"
    "conv{s}_x.{b}.* layer{s-1}.{b}.*\n"
    "conv{s}.{b}.* layer{s-1}.{b}.*\n"
    "*.residual_function.0 *.conv1\n"
    "*.residual_function.1 *.bn1\n"
    "*.residual_function.3 *.conv2\n"
    "*.residual_function.4 *.bn2\n"
    "*.residual_function.6 *.conv3\n"
    "*.residual_function.7 *.bn3\n"
    "*.split_transforms.0 *.conv1\n"
    "*.split_transforms.1 *.bn1\n"
    "*.split_transforms.3 *.conv2\n"
    "*.split_transforms.4 *.bn2\n"
    "*.split_transforms.6 *.conv3\n"
    "*.split_transforms.7 *.bn3\n"
    // FFFATTACK/teacher_student_model, after ResNets of 6n + 2 layers
    "layers_2n.{b}.* layer1.{b}.*\n"
    "layers_4n.{b}.* layer2.{b}.*\n"
    "layers_6n.{b}.* layer3.{b}.*\n"
    "fc_out fc\n"
    // and others: stems, stages, shortcuts, heads
    "conv conv1\n"
    "bn bn1\n"
    "conv_1 conv1\n"
    "norm1 bn1\n"
    "stem.0 conv1\n"
    "stem.1 bn1\n"
    "stem.conv conv1\n"
    "stem.bn bn1\n"
    "stem.conv1 conv1\n"
    "stem.bn1 bn1\n"
    "conv1.conv conv1\n"
    "conv1.bn bn1\n"
    "layer0.0 conv1\n"
    "layer0.1 bn1\n"
    "stage{s}.{b}.* layer{s}.{b}.*\n"
    "block{s}.{b}.* layer{s}.{b}.*\n"
    "group{s}.{b}.* layer{s}.{b}.*\n"
    "layer_{s}.{b}.* layer{s}.{b}.*\n"
    "stage_{s}.{b}.* layer{s}.{b}.*\n"
    "layers.{s}.{b}.* layer{s+1}.{b}.*\n"
    "stages.{s}.{b}.* layer{s+1}.{b}.*\n"
    "blocks.{s}.{b}.* layer{s+1}.{b}.*\n"
    "*.conv{k}.conv *.conv{k}\n"
    "*.conv{k}.bn *.bn{k}\n"
    "*.norm{k} *.bn{k}\n"
    "*.batch_norm{k} *.bn{k}\n"
    "*.conv_{k} *.conv{k}\n"
    "*.bn_{k} *.bn{k}\n"
    "*.downsample.conv *.downsample.0\n"
    "*.downsample.bn *.downsample.1\n"
    "*.shortcut.conv *.downsample.0\n"
    "*.shortcut.bn *.downsample.1\n"
    "*.shortcut_conv *.downsample.0\n"
    "*.shortcut_bn *.downsample.1\n"
    "*.conv_shortcut *.downsample.0\n"
    "*.bn_shortcut *.downsample.1\n"
    "*.identity_downsample.{k} *.downsample.{k}\n"
    "*.i_downsample.{k} *.downsample.{k}\n"
    "*.skip.{k} *.downsample.{k}\n"
    "*.projection.{k} *.downsample.{k}\n"
    "head fc\n"
    "head.linear fc\n"
    "classifier.0 fc\n"
    "classifier.fc fc\n"
    "fc.0 fc\n"
    "fc.1 fc\n"
    "output fc\n"
    "logits fc\n";

const struct cdl_weightless cdl_weightless[] = {
    {"linear", CDL_SHORTCUT_A, "a", "akamaster/pytorch_resnet_cifar10"},
    {"fc_out", CDL_SHORTCUT_A_END, "a-end", "FFFATTACK/teacher_student_model"},
    {0},
};
