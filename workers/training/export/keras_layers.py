"""What a Keras model may consist of: layers, functions and settings that only compute.

Everything else is refused before a model is built: a list of what is dangerous would never be
whole.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MODELS = frozenset({"Functional", "Model", "Sequential"})

LAYERS = _words("""
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention AutoContrast
    Average AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization
    BatchNormalizationV1 BatchNormalizationV2 Bidirectional CenterCrop Concatenate Conv1D
    Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D
    Convolution2D Cropping1D Cropping2D Cropping3D Dense DepthwiseConv1D DepthwiseConv2D Dot Dropout
    EinsumDense ELU Embedding Equalization Flatten GaussianDropout GaussianNoise
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D
    GlobalMaxPooling2D GlobalMaxPooling3D GroupedQueryAttention GroupNormalization
    GroupQueryAttention GRU GRUCell GRUV2 Identity InputLayer LayerNormalization LayerScale
    LeakyReLU LSTM LSTMCell LSTMV2 Masking Maximum MaxPooling1D MaxPooling2D MaxPooling3D Minimum
    MultiHeadAttention Multiply Normalization Permute PReLU RandomBrightness RandomColorDegeneration
    RandomColorJitter RandomContrast RandomCrop RandomErasing RandomFlip RandomGaussianBlur
    RandomGrayscale RandomHeight RandomHue RandomInvert RandomPerspective RandomPosterization
    RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomWidth
    RandomZoom ReLU RepeatVector Rescaling Reshape Resizing RMSNormalization RNN SeparableConv1D
    SeparableConv2D SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D SpatialDropout2D
    SpatialDropout3D SpectralNormalization StackedRNNCells Subtract SyncBatchNormalization
    ThresholdedReLU TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D
    ZeroPadding1D ZeroPadding2D ZeroPadding3D
""")

# Operations that Keras 3 saves as layers.
OPERATIONS = _words("""
    Abs Absolute All Amax Amin Any Argmax Argmin AveragePool Cast Clip Concatenate Conv Cos
    CropImages DepthwiseConv Divide Dot Einsum Elu Equal Exp ExpandDims Expm1 Flip FloorDivide Full
    Gelu GetItem Greater GreaterEqual HardSigmoid HardSilu HardTanh HSVToRGB LeakyRelu Less
    LessEqual Log Log1p LogicalAnd LogicalNot LogicalOr LogSoftmax Matmul Max Maximum MaxPool Mean
    Min Minimum Mod Moveaxis Multiply Negative Normalize NotEqual OnesLike Pad PadImages Power Prod
    Reciprocal Relu Relu6 Repeat Reshape Resize RGBToGrayscale RGBToHSV Round Selu Sigmoid Sign Silu
    Sin Softmax Softplus Softsign Split Sqrt Square Squeeze Stack Std Subtract Sum Swapaxes Take
    Tanh Tile Transpose TrueDivide Var Where ZerosLike
""")

# Functions of TensorFlow by the names under which Keras 2 saves them in a layer `TFOpLambda`.
FUNCTIONS = _words("""
    __operators__.add abs add cast clip_by_value compat.v1.expand_dims compat.v1.gather
    compat.v1.nn.avg_pool compat.v1.nn.conv2d compat.v1.pad compat.v1.shape compat.v1.squeeze
    compat.v1.transpose concat divide exp expand_dims gather identity image.central_crop
    image.per_image_standardization image.resize image.rgb_to_grayscale keras.activations.gelu
    keras.activations.relu keras.activations.sigmoid keras.activations.softmax
    keras.activations.swish keras.activations.tanh keras.backend.cast linalg.l2_normalize
    linalg.matmul math.abs math.add math.argmax math.ceil math.cos math.divide math.divide_no_nan
    math.equal math.erf math.exp math.floor math.floordiv math.greater math.l2_normalize math.less
    math.log math.maximum math.minimum math.mod math.multiply math.negative math.pow math.reduce_max
    math.reduce_mean math.reduce_min math.reduce_prod math.reduce_std math.reduce_sum
    math.reduce_variance math.round math.rsqrt math.sigmoid math.sign math.sin math.softplus
    math.sqrt math.square math.subtract math.tanh math.truediv matmul maximum minimum multiply
    negative nn.avg_pool nn.avg_pool2d nn.batch_normalization nn.bias_add nn.conv2d
    nn.depthwise_conv2d nn.elu nn.gelu nn.l2_normalize nn.leaky_relu nn.max_pool nn.max_pool2d
    nn.relu nn.relu6 nn.sigmoid nn.silu nn.softmax nn.swish nn.tanh ones_like pad pow reduce_max
    reduce_mean reduce_min reduce_sum reshape shape sigmoid split sqrt square squeeze stack
    strided_slice subtract tanh tile transpose truediv unstack where zeros_like
""")
SLICE_FUNCTION = "__operators__.getitem"

ACTIVATIONS = _words("""
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu
    linear log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus
    softsign sparse_plus sparsemax squareplus swish tanh tanh_shrink threshold
""")

# Initializers, regularizers, constraints and types of numbers; old files have them by other names.
SETTINGS = _words("""
    Constant ConstantV2 DTypePolicy FloatDTypePolicy GlorotNormal GlorotNormalV2 GlorotUniform
    GlorotUniformV2 HeNormal HeNormalV2 HeUniform HeUniformV2 Identity IdentityInitializer
    IdentityV2 L1 L1L2 L2 LecunNormal LecunNormalV2 LecunUniform LecunUniformV2 MaxNorm MinMaxNorm
    NonNeg Ones OnesV2 Orthogonal OrthogonalInitializer OrthogonalRegularizer OrthogonalV2 Policy
    PolicyV1 RandomNormal RandomNormalV2 RandomUniform RandomUniformV2 SeedGenerator TruncatedNormal
    TruncatedNormalV2 UnitNorm VarianceScaling VarianceScalingV2 Zeros ZerosV2
""")

# How values that JSON lacks are written.
VALUES = _words("""
    __ellipsis__ __keras_tensor__ __numpy__ __slice__ __tensor__ __tuple__ TensorShape
""")

# Names of arguments: of layers and settings, and of their calls.
ARGUMENTS = _words("""
    a a_is_sparse activation activations activity_regularizer addition_factor adjoint_a adjoint_b
    adjust adjustment align_corners allow_small_input alpha alpha_constraint alpha_initializer
    alpha_regularizer antialias antialias_spread approximate args array attention_axes
    attention_mask auto_pad autocast axes axis axis1 axis2 axis_name b b_is_sparse backward_layer
    batch_dims batch_input_shape batch_shape batch_size begin begin_mask beta beta_constraint
    beta_initializer beta_regularizer bias bias_axes bias_constraint bias_initializer bias_range
    bias_regularizer bin_boundaries bins bottom_cropping bottom_padding bounding_box_format
    brightness_factor build_input_shape cell cells center central_fraction clip clip_value_max
    clip_value_min condition config conjugate constant_values constants constraint contrast_factor
    copy crop_to_aspect_ratio cropping data data_format decimals depth depth_multiplier
    depthwise_constraint depthwise_initializer depthwise_regularizer destination dilation_rate
    dilations dim dims direction distribution dropout dtype ellipsis_mask embeddings_constraint
    embeddings_initializer embeddings_regularizer end end_mask epsilon equation exclude_input factor
    features fill_mode fill_value filter filters flash_attention flip_along_axis force_generator
    forward_layer full_output_shape function fused gain gamma gamma_constraint gamma_initializer
    gamma_regularizer go_backwards gptq_unpacked_column_size group groups has_bias head_dim height
    height_factor hue_factor image images implementation indices indices_or_sections init_values
    initial initial_state initial_state_shape initializer input input_ input_axes input_dim
    input_layers input_length input_shape input_spec input_tensor inputs interpolation invert items
    keep_dims keepdims keras_history kernel kernel_constraint kernel_initializer kernel_regularizer
    kernel_size key key_dim key_mask key_shape ksize kwargs l1 l2 layer layers layout left_cropping
    left_padding level local_bits logits lora_alpha lora_rank lower mask mask_value mask_zero max
    max_value maxval mean merge_mode method min min_value minval mode momentum
    moving_mean_initializer moving_variance_initializer multiples n name ndim negative_slope
    new_axis_mask newaxis newshape noise_shape normalize num num_heads num_key_value_heads
    num_or_sections num_or_size_splits num_query_heads num_splits off_value offset on_value operand
    operands optional ord order out_type output_axes output_dim output_layers output_mode
    output_padding output_shape output_type p pad_mode pad_to_aspect_ratio pad_width padding
    paddings params perm pointwise_constraint pointwise_initializer pointwise_regularizer pool_mode
    pool_size power power_iterations precise_axis preserve_aspect_ratio projection_dim
    quantization_config query query_mask query_shape ragged rank rate rates recurrent_activation
    recurrent_constraint recurrent_dropout recurrent_initializer recurrent_regularizer reduction
    regularizer renorm renorm_clipping renorm_momentum repeats reset_after return_attention_scores
    return_index return_sequences return_state right_cropping right_padding rms_scaling rng_type
    robust_masking rtol saturation_factor scale score_mode seed sequence sequences sequences_shape
    shape shapes_dict shared_axes shift shrink_axis_mask side sigma size slice_spec slices
    sliding_window softmax_robust_masking source sparse split squared squeeze_dims start stateful
    states std stddev step stop strides subscripts supports_masking swap_memory synchronized t
    target_height target_shape target_width tensor tensors threshold threshold_factor thresholded
    time_major top_cropping top_padding trainable training transform transpose_a transpose_b
    truncate unit_forget_bias units unroll upper use_bias use_causal_mask use_cudnn use_cudnn_on_gpu
    use_gate use_scale validate_indices value value_dim value_mask value_range value_shape values
    var variance variance_epsilon virtual_batch_size vocab_size w weights width width_factor x x1 x2
    x_factor x_max x_min xs y y_factor zero_output_for_mask
""")
