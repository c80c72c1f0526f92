/** How far a withdrawal reaches, from the narrowest. */
export const SCOPES = [
  { value: "treatment", label: "treatment" },
  { value: "treatment_and_follow_up", label: "treatment and follow-up" },
  { value: "treatment_follow_up_and_data", label: "treatment, follow-up and use of the data" },
] as const;

export interface ConsentValues {
  study_id: string;
  form_version: string;
  signed_date: string;
  withdrawn_date?: string;
  withdrawal_scope?: string;
}

/** Return the scopes that reach further than what was withdrawn before. */
export function listFurther(before: string | undefined): ReadonlyArray<{ value: string; label: string }> {
  return SCOPES.slice(SCOPES.findIndex((one) => one.value === before) + 1);
}
