import { useQuery } from "@tanstack/react-query";
import { readDocument } from "../../api/client";
import { instant } from "../../ui/numbers";

interface Told {
  number: number;
  action: string;
  reason: string;
  time_utc: string;
  changes: ReadonlyArray<{ field: string; old: unknown; new: unknown }>;
}

/** Why a query was asked again, and the answer that did not do; nothing where that never was. */
export function AskedBefore({ queryId }: { queryId: string }) {
  const trail = useQuery({
    queryKey: ["events", "query", queryId],
    queryFn: () => readDocument<{ events: Told[] }>(`/api/events/query/${queryId}?limit=500`),
  });
  const again = trail.data?.events.filter((one) => one.changes.some((change) => change.field === "state" && change.new === "open" && change.old)) ?? [];
  return again.map((one) => {
    const answer = one.changes.find((change) => change.field === "answer")?.old;
    return (
      <p key={one.number}>
        {answer ? `Answered before: ${String(answer)} ` : ""}Asked again {instant(one.time_utc)}: {one.reason}
      </p>
    );
  });
}
