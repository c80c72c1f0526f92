import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/patients",
  title: "Patients",
  rights: ["patient.read"],
  nav: { label: "Patients", order: 10 },
  load: () => import("./PatientsPage"),
};
