import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/due",
  title: "Due",
  rights: ["patient.read", "visit.read", "study.read"],
  unblindedOnly: true,
  nav: { label: "Due", order: 20 },
  load: () => import("./DuePage"),
};
