/** How a patient's own data stand: signed by whom, locked or not; sign and lock for who may. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { client, unwrap } from "../../api/client";
import { useChange, useItem } from "../../api/items";
import { SignDialog } from "../../shell/SignDialog";
import { useMayCheck } from "../../shell/checks";
import { useMe } from "../../shell/me";
import { Badge, type Tone } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { ReasonDialog } from "../../ui/Dialog";
import { Facts } from "../../ui/Facts";
import { useNotice } from "../../ui/Notices";
import { Panel } from "../../ui/Panel";
import { day, instant } from "../../ui/numbers";
import { capital } from "../../ui/words";
import styles from "./TimelinePage.module.css";

const MEANING = "Reviewed, and found complete and correct";
const STATES: Record<string, { tone: Tone; word: string }> = {
  valid: { tone: "good", word: "signed" },
  broken: { tone: "caution", word: "changed since signed" },
};

/** Nothing for blinded readers, and nothing for who may do nothing while nothing was done. */
export function SignPanel({ patientId }: { patientId: string }) {
  const me = useMe();
  const mayRead = useMayCheck("signature.read");
  const maySign = useMayCheck("signature.write");
  const mayLock = useMayCheck("item.lock");
  const mayUnlock = useMayCheck("item.unlock");
  const held = useItem("patient", patientId, mayRead);
  const signatures = useQuery({
    queryKey: ["signatures", "patient", patientId],
    queryFn: () => unwrap(client.GET("/api/signatures/{kind}/{item_id}", { params: { path: { kind: "patient", item_id: patientId } } })),
    enabled: mayRead,
  });
  const [dialog, setDialog] = useState<"sign" | "lock" | null>(null);
  const change = useChange();
  const say = useNotice();
  const patient = held.data?.item;
  if (!patient || !signatures.data) return null;
  const { locked } = patient;
  const marks = [...signatures.data].sort((one, other) => other.time_utc.localeCompare(one.time_utc));
  const isSigned = marks.some((one) => one.state === "valid" && one.signer_id === me.account_id);
  const canLock = locked ? mayUnlock : mayLock;
  if (!maySign && !canLock && !locked && marks.length === 0) return null;
  return (
    <Panel
      title="Signature and lock"
      actions={
        <div className={styles.kinds}>
          {maySign && !isSigned ? <Button onClick={() => setDialog("sign")}>Sign the patient's data</Button> : null}
          {canLock ? <Button onClick={() => setDialog("lock")}>{locked ? "Unlock" : "Lock"} the patient's data</Button> : null}
        </div>
      }
    >
      <ul className={styles.marks} data-locked={locked} data-signed={marks.filter((one) => one.state === "valid").length}>
        <li>
          <Badge tone={locked ? "good" : "quiet"}>{locked ? "locked" : "not locked"}</Badge>
          {marks.length === 0 ? <Badge tone="quiet">not signed</Badge> : null}
        </li>
        {marks.map((one) => (
          <li key={one.signature_id}>
            <Badge tone={STATES[one.state]?.tone ?? "quiet"}>{STATES[one.state]?.word ?? one.state}</Badge>
            <span>“{one.meaning}”</span>
            <span className={styles.kind}>
              {one.signer_id === me.account_id ? `${me.display_name} (you)` : `account ${one.signer_id}`}, {instant(one.time_utc)}
            </span>
          </li>
        ))}
      </ul>
      {dialog === "sign" ? (
        <SignDialog title="Sign the patient's data" kind="patient" itemId={patientId} etag={held.data?.etag ?? ""} meaning={MEANING} onClose={() => setDialog(null)}>
          <Facts rows={Object.entries(patient.values).filter(([, value]) => value !== null).map(([name, value]) => [capital(name.replaceAll("_", " ")), toText(value)] as const)} />
          <p className={styles.kind}>This is what the signature binds to. Visits, events and results are entries of their own.</p>
        </SignDialog>
      ) : null}
      {dialog === "lock" ? (
        <ReasonDialog
          title={locked ? "Unlock the patient's data" : "Lock the patient's data"}
          action={locked ? "Unlock" : "Lock"}
          optional={!locked}
          onClose={() => setDialog(null)}
          onDone={async (reason) => {
            await change.mutateAsync({ method: "POST", path: `/api/locks/patient/${patientId}`, etag: held.data?.etag ?? "", body: { locked: !locked, reason } });
            say(locked ? "The patient's data are no longer locked" : "The patient's data were locked");
          }}
        >
          <p>{locked ? "Status, cohort and days can then be changed again." : "Status, cohort and days can then not be changed. Visits, events and results are entries of their own."}</p>
        </ReasonDialog>
      ) : null}
    </Panel>
  );
}

function toText(value: unknown): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string" && /^\d{4}-\d{2}-\d{2}$/.test(value)) return day(value);
  return String(value).replaceAll("_", " ");
}
