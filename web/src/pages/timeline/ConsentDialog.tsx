import { type FormEvent, useId, useRef, useState } from "react";
import { makeKey } from "../../api/client";
import { areDatesMoved } from "../../api/dates";
import { useChange } from "../../api/items";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { SelectField, TextField } from "../../ui/Field";
import { useNotice } from "../../ui/Notices";
import { Failure } from "../../ui/States";
import styles from "./Consents.module.css";

interface Props {
  patientId: string;
  /** Protocol versions, the latest first. */
  versions: ReadonlyArray<{ value: string; label: string; from: string }>;
  onClose: () => void;
}

/** Enter a consent that the patient signed; it cannot be taken back, only withdrawn. */
export function ConsentDialog({ patientId, versions, onClose }: Props) {
  const today = new Date().toISOString().slice(0, 10);
  const [study, setStudy] = useState((versions.find((one) => one.from <= today) ?? versions[0])?.value ?? "");
  const [version, setVersion] = useState("");
  const [signed, setSigned] = useState("");
  const key = useRef(makeKey());
  const change = useChange();
  const say = useNotice();
  const id = useId();
  const note = (act: () => void) => {
    key.current = makeKey();
    act();
  };
  async function send(event: FormEvent) {
    event.preventDefault();
    await change.mutateAsync({
      method: "POST",
      path: "/api/consent",
      key: key.current,
      body: { patient_id: patientId, study_id: study, form_version: version.trim(), signed_date: signed },
    });
    say("The consent was entered");
    onClose();
  }
  return (
    <Dialog
      title="Enter a consent"
      onClose={onClose}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={id} look="main" busy={change.isPending} disabled={version.trim() === ""}>
            Enter
          </Button>
        </>
      }
    >
      <form id={id} className={styles.form} onSubmit={(event) => void send(event).catch(() => undefined)}>
        <SelectField label="Protocol version" required value={study} onChange={(event) => note(() => setStudy(event.target.value))} options={versions.map(({ value, label }) => ({ value, label }))} />
        <TextField label="Version of the form" required autoFocus maxLength={200} value={version} onChange={(event) => note(() => setVersion(event.target.value))} hint="As printed on the form." />
        <TextField label="Signed" type="date" required value={signed} onChange={(event) => note(() => setSigned(event.target.value))} />
        <p className={styles.quiet}>
          It covers treatment, follow-up and the use of the data until it is withdrawn. The signed form itself stays at the site.
          {areDatesMoved() ? " Research record: enter the true day. It is moved by this patient's own number of days before it is kept." : ""}
        </p>
      </form>
      {change.error ? <Failure error={change.error} /> : null}
    </Dialog>
  );
}
