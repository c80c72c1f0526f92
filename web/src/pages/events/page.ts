import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/patient/:patientId/events",
  title: "Adverse events",
  rights: ["patient.read", "adverse_event.read", "study.read"],
  unblindedOnly: true,
  patientPart: { label: "Adverse events", order: 50 },
  load: () => import("./EventsPage"),
};
