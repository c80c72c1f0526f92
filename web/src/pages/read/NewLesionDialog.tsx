/** Name a lesion that nobody named before. */
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { sendChange } from "../../api/items";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { SelectField, TextField } from "../../ui/Field";
import { Failure } from "../../ui/States";
import styles from "./ReadPage.module.css";

const PLACES = ["LIVER", "LYMPH NODE", "LUNG", "PERITONEUM", "BONE", "ADRENAL GLAND"].map((value) => ({ value, label: (value[0] ?? "") + value.slice(1).toLowerCase() }));

export function NewLesionDialog({ readId, onClose, onMade }: { readId: string; onClose: () => void; onMade: (lesionId: string) => void }) {
  const [location, setLocation] = useState("LIVER");
  const [other, setOther] = useState("");
  const [segment, setSegment] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const cache = useQueryClient();
  const form = useId();
  async function send(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const place = location === "" ? other.trim() : location;
      const { data } = await sendChange<{ item_id: string }>({ method: "POST", path: `/api/read/${readId}/lesion`, body: { location: place, segment: segment.trim() } });
      await cache.invalidateQueries({ queryKey: ["read-page", readId] });
      onMade(data.item_id);
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  }
  return (
    <Dialog
      title="A lesion that is not in the list"
      onClose={onClose}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={form} look="main" busy={busy} disabled={location === "" && other.trim() === ""}>
            Add
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={(event) => void send(event)} className={styles.lockForm}>
        <SelectField label="Where" value={location} options={PLACES} empty="Elsewhere" onChange={(event) => setLocation(event.target.value)} />
        {location === "" ? <TextField label="Place" maxLength={200} value={other} onChange={(event) => setOther(event.target.value)} /> : null}
        {location === "LIVER" ? <TextField label="Liver segment (may be empty)" maxLength={40} value={segment} onChange={(event) => setSegment(event.target.value)} /> : null}
      </form>
      {error ? <Failure error={error} /> : null}
    </Dialog>
  );
}
