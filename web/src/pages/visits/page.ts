import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/patient/:patientId/visits",
  title: "Visits",
  rights: ["patient.read", "visit.read", "study.read"],
  unblindedOnly: true,
  patientPart: { label: "Visits", order: 40 },
  load: () => import("./VisitsPage"),
};
