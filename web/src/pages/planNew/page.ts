import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/patient/:patientId/new-plan",
  title: "New plan",
  rights: ["plan.read", "plan.write", "scan.read"],
  unblindedOnly: true,
  load: () => import("./NewPlanPage"),
};
