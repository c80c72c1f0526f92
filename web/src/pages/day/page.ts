import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/patient/:patientId/day",
  title: "Procedure days",
  rights: ["procedure.read", "plan.read"],
  unblindedOnly: true,
  patientPart: { label: "The day", order: 30 },
  load: () => import("./DaysPage"),
};
