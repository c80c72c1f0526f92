/** Codes and parts of sentences in words. */

/** Begin a sentence. */
export function capital(text: string): string {
  return (text[0]?.toUpperCase() ?? "") + text.slice(1);
}

const CRITERIA: Record<string, string> = {
  "recist-1.1": "RECIST 1.1",
  irecist: "iRECIST",
  itrecist: "itRECIST-based",
  mrecist: "mRECIST",
  volumetric: "volumetric",
};

/** Return how a criterion is written. */
export function toCriterionLabel(code: unknown): string {
  return CRITERIA[String(code)] ?? String(code ?? "");
}
