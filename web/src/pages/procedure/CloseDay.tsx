import { makeKey } from "../../api/client";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { sendChange } from "../../api/items";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { TextField } from "../../ui/Field";
import { Failure } from "../../ui/States";
import { quantity } from "../../ui/numbers";
import { type Day, toLocalInstant } from "./day";

interface Props {
  found: Day;
  procedureId: string;
  /** Entries that the server does not have yet. */
  waiting: number;
  onDone: () => void;
}

/** Close the day as it was seen, or cancel it while nothing was given. */
export function CloseDay({ found, procedureId, waiting, onDone }: Props) {
  const { day, etag } = found;
  const [why, setWhy] = useState("");
  const [error, setError] = useState<unknown>(null);
  const cache = useQueryClient();
  const mayClose = day.next.find((one) => one.kind === "close");
  const mayCancel = day.next.find((one) => one.kind === "cancel");
  async function end(kind: "close" | "cancel") {
    setError(null);
    try {
      await sendChange({
        method: "POST",
        path: `/api/procedure/${procedureId}/closing`,
        etag,
        body: {
          entry_id: makeKey(),
          kind,
          occurred_at: toLocalInstant(new Date()),
          values: kind === "cancel" ? { text: why.trim() } : {},
        },
      });
      await cache.invalidateQueries();
      onDone();
    } catch (problem) {
      setError(problem);
    }
  }
  return (
    <Dialog
      title="Close the day"
      onClose={onDone}
      foot={
        <>
          {mayCancel?.allowed ? (
            <Button large look="danger" disabled={why.trim() === "" || waiting > 0} onClick={() => void end("cancel")}>
              Cancel the day
            </Button>
          ) : null}
          <Button large look="main" disabled={!mayClose?.allowed || waiting > 0} onClick={() => void end("close")}>
            Close the day
          </Button>
        </>
      }
    >
      <p>
        Given {quantity(day.totals.given_ml, "mL")} of {quantity(day.totals.planned_ml, "mL")}. After closing, only corrections are accepted.
      </p>
      {waiting > 0 ? <p>{waiting} entries still wait for the connection; the day can be closed when they are saved.</p> : null}
      {mayClose?.allowed ? null : <p>Not yet: {mayClose?.reasons.join("; ")}.</p>}
      {mayCancel?.allowed ? <TextField label="Why the day is cancelled" value={why} onChange={(event) => setWhy(event.target.value)} /> : null}
      {error ? <Failure error={error} /> : null}
    </Dialog>
  );
}
