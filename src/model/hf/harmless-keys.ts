/** Keys of configuration files that decide no cost: training, generation, tokens, bookkeeping. */
const harmless = [
  /dropout/,
  /pdrop$/,
  /_drop$/,
  /token_id(s|x)?$/,
  /token_index$/,
  /(^|_)(initializer|init)(_|$)/,
  /^_/,
  /^transformers/,
  /_version$/,
  /^(use_cache|architectures|auto_map|model_type|torch_dtype|dtype|name|id2label|label2id|problem_type)$/,
  /^(output_attentions|output_hidden_states|output_router_logits|return_dict|is_decoder|is_encoder_decoder)$/,
  /^(pretraining_tp|chunk_size_feed_forward|tokenizer_class|task_specific_params|finetuning_task)$/,
  /(aux_loss|router_z_loss|loss_coef|loss_weight|loss_function|jitter)/,
  /^(max_length|min_length|do_sample|temperature|top_p|num_beams|early_stopping|length_penalty|no_repeat_ngram_size)$/,
  /^(gradient_checkpointing|use_flash_attn|attn_implementation|use_return_dict|torchscript)$/,
  /^(rope_scaling|rope_parameters|rope_theta|original_max_position_embeddings)$/,
  /(_multiplier|_scaling|_scale)$/,
  /_eps(ilon)?$/,
  /(^|_)(token|start|end)_id$/,
  /^(suppress_tokens|begin_suppress_tokens|forced_decoder_ids|bad_words_ids|pruned_heads|num_return_sequences|prefix)$/,
  /^(top_k|typical_p|repetition_penalty|diversity_penalty|num_beam_groups|encoder_no_repeat_ngram_size)$/,
  /^(summary_|mask_(time|feature)_|median_filter|time_step_(floor|limit|max|min)|linear_(a_log|dt)_m)/,
  /layerdrop$/,
  /^hidden_act(ivation)?$/,
  /_(alpha|beta)(_factor)?$/,
  /^(scale_attn_weights|attention_softmax_in_fp32|scale_attention_softmax_in_fp32|tokenizer_name|cache_implementation)$/,
  /^(norm_topk_prob|scoring_func|topk_method|routed_scaling_factor|route_scale|n_group|topk_group|moe_norm_min)$/,
  /^(num_logits_to_keep|use_mamba_kernels|use_mambapy|use_associative_scan|rescale_prenorm_residual|residual_in_fp32)$/,
  /^(mamba_ssm_cache_dtype|fused_add_norm|scale_emb|scale_depth|dim_model_base|layer_rope_theta|rotary)$/,
  /^(use_mtp|mtp_transformer_layers|mtp_layers_block_type|max_sequence_length|is_llama_config|keys_to_ignore_at_inference)$/,
  /(_multipliers|_scaling_factor|_softcapping|_soft_cap)$/,
  /^(classifier_(pooling|activation|proj_size)|indexer_rope_interleave|moe_shared_expert_overlap|mode)$/,
  /^(chunkwise_kernel|sequence_kernel|step_kernel|autocast_kernel_dtype|inference_state_dtype|return_last_states)$/,
  /^(norm_reduction_force_float32|weight_mode|max_inference_chunksize|eps|layer_norm_elementwise_affine)$/,
] as const;

export function isKnownHarmless(key: string): boolean {
  return harmless.some((pattern) => pattern.test(key));
}

/**
 * Whether a key that is not there is not worth a word: the longest sequence, the share of a head that rotates (no matrix
 * product depends on it), modules that are never counted, and forms that only some files of a family have.
 */
export function isQuiet(key: string): boolean {
  return isKnownHarmless(key) || quiet.test(key);
}

const quiet =
  /^(max_position_embeddings|n_positions|n_ctx|seq_length|max_seq_len|max_sequence_length|model_max_length|partial_rotary_factor|num_mtp_modules|feed_forward_type)$/;
