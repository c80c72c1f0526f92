/** Lock a read with a signature: the password once more, or a fresh login at the identity provider; afterwards everything is read-only. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useId, useState } from "react";
import { type Item, sendChange } from "../../api/items";
import { holdsProof, leaveForProof, readWays, spendProof } from "../../api/provider";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { TextField } from "../../ui/Field";
import { Failure } from "../../ui/States";
import styles from "./ReadPage.module.css";

interface Props {
  readId: string;
  etag: string;
  /** Locked before, and not signed. */
  onlySign: boolean;
  /** What is still open. */
  open: readonly string[];
  meaning: string;
  onClose: () => void;
  onDone: () => void;
}

export function LockDialog({ readId, etag, onlySign, open, meaning, onClose, onDone }: Props) {
  const [password, setPassword] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const cache = useQueryClient();
  const form = useId();
  const ways = useQuery({ queryKey: ["ways"], queryFn: readWays, staleTime: Number.POSITIVE_INFINITY });
  const provider = ways.data?.provider ?? "";
  const [fresh, setFresh] = useState(holdsProof);
  /** The server takes a fresh login for the signature alone: a read that is locked and not signed can still be signed. */
  async function signFresh() {
    let tag = etag;
    if (!onlySign) tag = (await sendChange<Item>({ method: "POST", path: `/api/read/${readId}/lock`, etag })).etag;
    spendProof();
    setFresh(false);
    await sendChange({ method: "POST", path: `/api/signatures/read/${readId}`, etag: tag, body: { meaning, password: "" } });
  }
  async function send(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      if (fresh && password === "") await signFresh();
      else await sendChange({ method: "POST", path: `/api/read/${readId}/signed-lock`, etag, body: { meaning, password } });
      await cache.invalidateQueries();
      onDone();
    } catch (problem) {
      // A read that was locked before its signature failed is shown as that.
      if (provider) void cache.invalidateQueries();
      setError(problem);
      setBusy(false);
    }
  }
  return (
    <Dialog
      title={onlySign ? "Sign the read" : "Lock and sign the read"}
      onClose={onClose}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={form} look="main" busy={busy} disabled={password === "" && !fresh}>
            {onlySign ? "Sign" : "Lock and sign"}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={(event) => void send(event)} className={styles.lockForm}>
        {onlySign ? null : <p>After this nothing of the read can be changed. From then on you may learn of the treatment.</p>}
        {open.length > 0 ? (
          <div className={styles.warns}>
            <p>Not marked:</p>
            <ul className={styles.bullets}>
              {open.map((text) => (
                <li key={text}>{text}</li>
              ))}
            </ul>
          </div>
        ) : null}
        <p>The signature says: “{meaning}”.</p>
        {provider && fresh ? <p role="status">You have just logged in afresh: this stands for your password, once.</p> : null}
        {provider && !fresh ? (
          <>
            <Button onClick={() => void leaveForProof().catch(setError)}>{provider}: log in afresh to sign</Button>
            <p>You come back to this read. Or, if you have a password here:</p>
          </>
        ) : null}
        <TextField label="Your password, once more" type="password" autoComplete="current-password" autoFocus value={password} onChange={(event) => setPassword(event.target.value)} />
      </form>
      {error ? <Failure error={error} /> : null}
    </Dialog>
  );
}
