import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/patient/:patientId/day/:procedureId",
  title: "Procedure day",
  rights: ["procedure.read"],
  unblindedOnly: true,
  dark: true,
  load: () => import("./ProcedurePage"),
};
