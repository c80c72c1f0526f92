import { useQuery } from "@tanstack/react-query";
import { Fragment } from "react";
import { readDocument } from "../../api/client";
import { instant } from "../../ui/numbers";

interface Told {
  number: number;
  action: string;
  reason: string;
  time_utc: string;
  /** Field, what it was, what it is. */
  changes: ReadonlyArray<readonly [string, unknown, unknown]>;
}

/** Why a query was asked again, and the answer that did not do; nothing where that never was. */
export function AskedBefore({ queryId }: { queryId: string }) {
  const trail = useQuery({
    queryKey: ["events", "query", queryId],
    queryFn: () => readDocument<{ events: Told[] }>(`/api/events/query/${queryId}?limit=500`),
  });
  const again = trail.data?.events.filter((one) => one.changes.some(([field, before, now]) => field === "state" && now === "open" && before)) ?? [];
  return again.map((one) => {
    const answer = one.changes.find(([field]) => field === "answer")?.[1];
    return (
      <Fragment key={one.number}>
        {answer ? <p>Answer then: {String(answer)}</p> : null}
        <p>
          Asked again {instant(one.time_utc)}: {one.reason}
        </p>
      </Fragment>
    );
  });
}
