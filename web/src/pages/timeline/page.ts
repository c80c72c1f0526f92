import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/patient/:patientId",
  title: "Patient",
  rights: ["patient.read"],
  patientPart: { label: "Timeline", order: 10 },
  load: () => import("./TimelinePage"),
};
