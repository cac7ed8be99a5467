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
] as const;

export function isKnownHarmless(key: string): boolean {
  return harmless.some((pattern) => pattern.test(key));
}
