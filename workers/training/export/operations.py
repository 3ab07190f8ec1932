"""Operations of TensorFlow that a SavedModel may contain: those that only compute.

Operations that LiteRT lacks are here too, since training and layers that are left out in use need
them; so are those of variables, which are in memory.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMPUTING = _words("""
    Abs Acos Acosh Add AddN AddV2 AdjustContrastv2 AdjustHue AdjustSaturation All Any ArgMax ArgMin
    Asin Asinh Assert AssignAddVariableOp AssignSubVariableOp AssignVariableOp Atan Atan2 Atanh
    AvgPool AvgPool3D AvgPoolGrad BatchMatMul BatchMatMulV2 BatchMatMulV3 BatchToSpaceND BiasAdd
    BiasAddGrad Bitcast BroadcastArgs BroadcastGradientArgs BroadcastTo Cast Ceil CheckNumerics
    ClipByValue Complex ConcatOffset ConcatV2 Conj Const Conv Conv2D Conv2DBackpropFilter
    Conv2DBackpropInput Conv3D Conv3DBackpropInputV2 Cos Cosh CropAndResize Cross CudnnRNNBackpropV3
    CudnnRNNV3 Cumprod Cumsum DepthToSpace DepthwiseConv2dNative DepthwiseConv2dNativeBackpropFilter
    DepthwiseConv2dNativeBackpropInput DestroyResourceOp Diag DiagPart Digamma DisableCopyOnRead Div
    DivNoNan DynamicPartition DynamicStitch Einsum Elu EluGrad EmptyTensorList EnsureShape Enter
    Equal Erf Erfc Erfinv Exit Exp ExpandDims Expm1 ExtractImagePatches FakeQuantWithMinMaxArgs
    FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel Fill Floor FloorDiv FloorMod
    FusedBatchNorm FusedBatchNormGradV3 FusedBatchNormV2 FusedBatchNormV3 Gather GatherNd GatherV2
    Greater GreaterEqual HSVToRGB Identity IdentityN If Imag ImageProjectiveTransformV3 Inv
    InvertPermutation IsFinite IsInf IsNan L2Loss LeakyRelu LeakyReluGrad Less LessEqual Lgamma
    LinSpace Log Log1p LogicalAnd LogicalNot LogicalOr LogSoftmax LoopCond LRN MatMul MatrixBandPart
    MatrixDiag MatrixDiagV3 MatrixSetDiagV3 Max Maximum MaxPool MaxPool3D MaxPoolGrad MaxPoolV2 Mean
    Merge Min Minimum MirrorPad Mod Mul Multinomial Neg NextIteration NoOp NotEqual OneHot OnesLike
    Pack Pad PadV2 ParallelConcat PartitionedCall Placeholder PlaceholderWithDefault Pow
    PreventGradient Prod QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4
    RandomShuffle RandomStandardNormal RandomUniform RandomUniformInt Range Rank ReadVariableOp Real
    RealDiv Reciprocal Relu Relu6 Relu6Grad ReluGrad Reshape ResizeArea ResizeBicubic ResizeBilinear
    ResizeNearestNeighbor ResourceGather ReverseSequence ReverseV2 RGBToHSV Rint RngReadAndSkip Roll
    Round Rsqrt RsqrtGrad SampleDistortedBoundingBoxV2 ScatterNd Select SelectV2 Selu SeluGrad Shape
    ShapeN Sigmoid SigmoidGrad Sign Sin Sinh Size Slice Softmax Softplus SoftplusGrad Softsign
    SpaceToBatchND SpaceToDepth Split SplitV Sqrt SqrtGrad Square SquaredDifference Squeeze
    StatefulPartitionedCall StatefulStandardNormalV2 StatefulUniform StatefulUniformInt StatelessIf
    StatelessMultinomial StatelessRandomGetAlg StatelessRandomGetKeyCounter
    StatelessRandomGetKeyCounterAlg StatelessRandomNormal StatelessRandomNormalV2
    StatelessRandomUniform StatelessRandomUniformFullIntV2 StatelessRandomUniformInt
    StatelessRandomUniformIntV2 StatelessRandomUniformV2 StatelessSampleDistortedBoundingBox
    StatelessTruncatedNormal StatelessTruncatedNormalV2 StatelessWhile StopGradient StridedSlice
    StridedSliceGrad Sub Sum Switch Tan Tanh TanhGrad TensorListConcatV2 TensorListElementShape
    TensorListFromTensor TensorListGather TensorListGetItem TensorListLength TensorListPopBack
    TensorListPushBack TensorListReserve TensorListResize TensorListScatterIntoExistingList
    TensorListSetItem TensorListStack TensorScatterAdd TensorScatterUpdate Tile TopKV2 Transpose
    TruncateDiv TruncatedNormal TruncateMod Unique UniqueV2 Unpack UnsortedSegmentSum VarHandleOp
    VariableShape VarIsInitializedOp Where While Xdivy Xlogy ZerosLike Zeta
""")

# Of functions that save and restore variables, which read and write files.
CHECKPOINT = _words("""
    MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename StaticRegexFullMatch StringJoin
""")
