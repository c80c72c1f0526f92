/** Roles as the record knows them. */
export const ROLES = [
  "administrator",
  "coordinator",
  "investigator",
  "reader_1",
  "reader_2",
  "adjudicator",
  "monitor",
  "data_manager",
  "statistician",
  "auditor",
] as const;

/** ``reader_1`` as ``reader 1``. */
export function toRoleLabel(role: string): string {
  return role.replaceAll("_", " ");
}
