import { useState } from "react";
import { useChange, useItem } from "../../api/items";
import { useMay } from "../../shell/me";
import { Button } from "../../ui/Button";
import { SelectField } from "../../ui/Field";
import { ReasonDialog } from "../../ui/Dialog";

const PHASES = ["without contrast", "arterial", "portal venous", "delayed", "unknown"];

/** Which contrast phase a series shows: what its headers suggest, or what a person said. */
export function PhaseCell({ scanId }: { scanId: string }) {
  const [asked, setAsked] = useState(false);
  const [phase, setPhase] = useState("");
  const held = useItem<{ phase_hint?: string }>("scan", scanId);
  const change = useChange();
  const may = useMay("scan.write");
  if (!held.data) return <>…</>;
  const hint = held.data.item.values.phase_hint || "unknown";
  const { etag } = held.data;
  return (
    <>
      {hint}{" "}
      {may ? (
        <Button look="quiet" aria-label={`Say the contrast phase, now ${hint}`} onClick={() => setAsked(true)}>
          Say
        </Button>
      ) : null}
      {asked ? (
        <ReasonDialog
          title="Contrast phase of this series"
          action="Set"
          onClose={() => setAsked(false)}
          onDone={async (reason) => {
            await change.mutateAsync({ method: "POST", path: `/api/scan/${scanId}/phase`, etag, body: { phase: phase || "unknown", reason } });
          }}
        >
          <SelectField label="Phase" empty="choose" required value={phase} onChange={(event) => setPhase(event.target.value)} options={PHASES.map((value) => ({ value, label: value }))} />
        </ReasonDialog>
      ) : null}
    </>
  );
}
