/** Volumes and doses; a person may change one, with a reason. */
import { useState } from "react";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { ReasonDialog } from "../../ui/Dialog";
import { Facts } from "../../ui/Facts";
import { TextField } from "../../ui/Field";
import { quantity } from "../../ui/numbers";
import styles from "./PlanPage.module.css";
import type { DoseChange, Injection, PlanDocument } from "./model";

interface Props {
  plan: PlanDocument;
  changes: readonly DoseChange[];
  mayWrite: boolean;
  onChange: (change: DoseChange) => Promise<unknown>;
}

export function DosePanel({ plan, changes, mayWrite, onChange }: Props) {
  const [edited, setEdited] = useState<Injection | null>(null);
  const [volume, setVolume] = useState("");
  return (
    <div className={styles.stack}>
      <Facts
        rows={[
          ["Protocol", plan.protocol.title],
          ["Visit", String(plan.visit)],
          ["Total", quantity(plan.allocation.total_ml, "mL")],
          ["Draw up", quantity(plan.allocation.draw_up_ml, "mL")],
        ]}
      />
      {plan.injections.map((one) => {
        const changed = changes.findLast((change) => change.lesion_id === one.lesion_id);
        return (
          <section key={one.lesion_id} className={styles.card} data-injection={one.lesion_id}>
            <h3>
              {one.lesion_id} <strong>{quantity(changed?.volume_ml ?? one.volume_ml, "mL")}</strong>{" "}
              {changed ? <Badge tone="caution">changed by hand</Badge> : null}
            </h3>
            <Facts
              rows={[
                ...(changed ? ([["Planned", quantity(one.volume_ml, "mL")], ["Why changed", changed.reason]] as const) : []),
                ["Dose", typeof one.dose === "number" ? `${one.dose.toExponential(2)} ${one.dose_unit}` : quantity(one.dose, "")],
                ["Rule", one.rule],
                ["Source", `${one.source}${one.status === "unverified" ? " (unverified)" : ""}`],
                ...(one.undelivered_ml > 0 ? ([["Undelivered", `${quantity(one.undelivered_ml, "mL")}: ${one.undelivered_reason}`]] as const) : []),
              ]}
            />
            {mayWrite ? (
              <Button
                onClick={() => {
                  setVolume(String(changed?.volume_ml ?? one.volume_ml));
                  setEdited(one);
                }}
              >
                Change the volume
              </Button>
            ) : null}
          </section>
        );
      })}
      <ul className={styles.notes}>
        {plan.protocol.notices.map((notice) => (
          <li key={notice}>{notice}</li>
        ))}
      </ul>
      {edited ? (
        <ReasonDialog
          title={`Change the volume for ${edited.lesion_id}`}
          action="Change"
          onClose={() => setEdited(null)}
          onDone={async (reason) => {
            const value = Number(volume.replace(",", "."));
            if (!(value >= 0 && value <= 100)) throw new Error("not a volume");
            await onChange({ lesion_id: edited.lesion_id, volume_ml: value, reason });
          }}
        >
          <TextField label="Volume" unit="mL" inputMode="decimal" required value={volume} onChange={(event) => setVolume(event.target.value)} hint={`Planned: ${quantity(edited.volume_ml, "mL")}`} />
        </ReasonDialog>
      ) : null}
    </div>
  );
}
