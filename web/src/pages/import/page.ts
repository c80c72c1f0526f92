import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/patient/:patientId/import",
  title: "Import scans",
  rights: ["patient.read", "scan.write"],
  patientPart: { label: "Import", order: 80 },
  load: () => import("./ImportPage"),
};
