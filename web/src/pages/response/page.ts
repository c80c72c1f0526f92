import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/patient/:patientId/response",
  title: "Response",
  rights: ["patient.read", "lesion.read", "read.read", "measurement.read", "study.read"],
  unblindedOnly: true,
  patientPart: { label: "Response", order: 70 },
  load: () => import("./ResponsePage"),
};
