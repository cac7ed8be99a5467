/** Where the Hugging Face hub serves files. */
const hubAddress = "https://huggingface.co";

const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,95}\/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$/;

/** Whether the text has the form of a hub model: `organisation/name`. */
export function isHubId(location: string): boolean {
  return idPattern.test(location) && !location.includes("..") && !/\.(json|gguf|ya?ml|safetensors)$/i.test(location);
}

/** Address of one file of a hub model. */
export function hubFile(id: string, file: string, revision = "main"): string {
  return `${hubAddress}/${id}/resolve/${encodeURIComponent(revision)}/${file}`;
}
