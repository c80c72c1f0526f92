import { type FormEvent, useId, useRef, useState } from "react";
import { makeKey } from "../../api/client";
import { areDatesMoved } from "../../api/dates";
import { type Item, useChange } from "../../api/items";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { AreaField, SelectField, TextField } from "../../ui/Field";
import { useNotice } from "../../ui/Notices";
import { Failure } from "../../ui/States";
import { day } from "../../ui/numbers";
import styles from "./Consents.module.css";
import { type ConsentValues, SCOPES, listFurther } from "./scopes";

interface Props {
  consent: Item<ConsentValues>;
  /** What each scope stops. */
  stops: Record<string, string[]>;
  onClose: () => void;
}

/** Withdraw a consent: the day, how far it reaches and why, then what that stops, and only then the change. */
export function WithdrawDialog({ consent, stops, onClose }: Props) {
  const [on, setOn] = useState("");
  const [scope, setScope] = useState("");
  const [reason, setReason] = useState("");
  const [sure, setSure] = useState(false);
  const key = useRef(makeKey());
  const change = useChange();
  const say = useNotice();
  const id = useId();
  async function send(event: FormEvent) {
    event.preventDefault();
    if (!sure) {
      key.current = makeKey();
      setSure(true);
      return;
    }
    await change.mutateAsync({
      method: "POST",
      path: `/api/consent/${consent.item_id}/withdrawal`,
      etag: `"${consent.version}"`,
      key: key.current,
      body: { withdrawn_date: on, withdrawal_scope: scope, reason: reason.trim() },
    });
    say("The withdrawal was recorded");
    onClose();
  }
  const back = () => {
    change.reset();
    setSure(false);
  };
  return (
    <Dialog
      title={sure ? "Record this withdrawal?" : "Withdraw the consent"}
      onClose={onClose}
      foot={
        <>
          <Button onClick={sure ? back : onClose}>{sure ? "Back" : "Cancel"}</Button>
          <Button key={sure ? "withdraw" : "next"} type="submit" form={id} look={sure ? "danger" : "main"} busy={change.isPending} disabled={reason.trim() === ""}>
            {sure ? "Record the withdrawal" : "Say what it stops"}
          </Button>
        </>
      }
    >
      <form id={id} className={styles.form} onSubmit={(event) => void send(event).catch(() => undefined)}>
        {sure ? (
          <Consequences on={on} scope={scope} stops={stops[scope] ?? []} />
        ) : (
          <>
            <TextField label="Day of the withdrawal" type="date" required autoFocus value={on} onChange={(event) => setOn(event.target.value)} {...(areDatesMoved() ? {} : { min: consent.values.signed_date })} />
            <SelectField label="Withdrawn from" required empty="choose" value={scope} onChange={(event) => setScope(event.target.value)} options={listFurther(consent.values.withdrawal_scope)} />
            <AreaField label="Reason" required maxLength={2000} value={reason} onChange={(event) => setReason(event.target.value)} hint="In the patient's words, or that none was given." />
            {areDatesMoved() ? <p className={styles.quiet}>Research record: enter the true day. It is moved by this patient's own number of days before it is kept.</p> : null}
          </>
        )}
      </form>
      {change.error ? <Failure error={change.error} /> : null}
    </Dialog>
  );
}

function Consequences({ on, scope, stops }: { on: string; scope: string; stops: readonly string[] }) {
  const label = SCOPES.find((one) => one.value === scope)?.label ?? scope;
  return (
    <div className={styles.sure} role="alert">
      <p>
        Withdrawn from {label} on <strong>{day(on)}</strong>.
      </p>
      <p>From then on the record takes no more of these:</p>
      <ul>
        {stops.map((one) => (
          <li key={one}>{one}</li>
        ))}
      </ul>
      <p>
        {scope === "treatment" ? "Follow-up visits go on. The patient's status becomes follow-up." : "No visit is due any more. The patient's status becomes withdrawn. Visits, scans and laboratory results from before that day can still be entered."}
      </p>
      <p>It holds for every consent signed up to that day; one signed later begins anew. Adverse events can still be entered, and what the record holds stays in it. This cannot be taken back.</p>
    </div>
  );
}
