import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/patient/:patientId/plan/:planId",
  title: "Plan",
  rights: ["plan.read", "scan.read"],
  dark: true,
  unblindedOnly: true,
  load: () => import("./PlanPage"),
};
