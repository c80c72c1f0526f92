/** What the page asks the server. */
import { useQuery } from "@tanstack/react-query";
import { client, unwrap } from "../../api/client";
import type { components } from "../../api/schema";

export type Standing = components["schemas"]["StandingAnswer"];
export type Population = components["schemas"]["PopulationAnswer"];
export type Outcomes = components["schemas"]["OutcomesAnswer"];
export type Curve = components["schemas"]["Curve"];

export type Criterion = "recist-1.1" | "mrecist";
export type Rules = "itt" | "fda-2007";

export function useStanding() {
  return useQuery({
    queryKey: ["trial"],
    queryFn: async () => unwrap(client.GET("/api/trial")),
  });
}

export function useOutcomes(criterion: Criterion, rules: Rules) {
  return useQuery({
    queryKey: ["trial", "outcomes", criterion, rules],
    queryFn: async () => unwrap(client.GET("/api/trial/outcomes", { params: { query: { criterion, rules } } })),
    staleTime: 60_000,
  });
}
