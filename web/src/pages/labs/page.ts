import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/patient/:patientId/labs",
  title: "Laboratory",
  rights: ["patient.read", "laboratory.read"],
  unblindedOnly: true,
  patientPart: { label: "Laboratory", order: 60 },
  load: () => import("./LabsPage"),
};
