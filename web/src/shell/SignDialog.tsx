/** Sign an entry of the record: what it says, what the signature means, and the password once more, or a fresh login at the provider. */
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useId, useState } from "react";
import { useChange } from "../api/items";
import { holdsProof, leaveForProof, readWays, spendProof } from "../api/provider";
import { Problem } from "../api/problem";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { AreaField, TextField } from "../ui/Field";
import { useNotice } from "../ui/Notices";
import { Failure } from "../ui/States";
import styles from "./ItemChecks.module.css";

interface Props {
  title: string;
  kind: string;
  itemId: string;
  etag: string;
  /** What stands there first as its meaning; the signer may say it otherwise. */
  meaning: string;
  /** What is signed, as it stands now. */
  children: ReactNode;
  onClose: () => void;
}

export function SignDialog({ title, kind, itemId, etag, meaning, children, onClose }: Props) {
  const [said, setSaid] = useState(meaning);
  const [password, setPassword] = useState("");
  const [error, setError] = useState<unknown>(null);
  const change = useChange();
  const say = useNotice();
  const form = useId();
  const ways = useQuery({ queryKey: ["ways"], queryFn: readWays, staleTime: Number.POSITIVE_INFINITY });
  const provider = ways.data?.provider ?? "";
  const [fresh, setFresh] = useState(holdsProof);
  async function send(event: FormEvent) {
    event.preventDefault();
    setError(null);
    if (fresh && password === "") {
      spendProof();
      setFresh(false);
    }
    try {
      await change.mutateAsync({ method: "POST", path: `/api/signatures/${kind}/${itemId}`, etag, body: { meaning: said.trim(), password } });
      say("The signature was made");
      onClose();
    } catch (problem) {
      const isPassword = problem instanceof Problem && problem.status === 401 && password !== "";
      setError(isPassword ? new Problem(401, { expected: "your password", given: "another", where: "signature", action: "type it once more" }) : problem);
      setPassword("");
    }
  }
  return (
    <Dialog
      title={title}
      onClose={onClose}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={form} look="main" busy={change.isPending} disabled={said.trim() === "" || (password === "" && !fresh)}>
            Sign
          </Button>
        </>
      }
    >
      <form id={form} className={styles.form} onSubmit={(event) => void send(event)}>
        {children}
        <AreaField label="The signature says" required maxLength={200} rows={2} value={said} onChange={(event) => setSaid(event.target.value)} />
        {provider && fresh ? <p role="status">You have just logged in afresh: this stands for your password, once.</p> : null}
        {provider && !fresh ? (
          <>
            <Button onClick={() => void leaveForProof().catch(setError)}>{provider}: log in afresh to sign</Button>
            <p>You come back to this page. Or, if you have a password here:</p>
          </>
        ) : null}
        <TextField label="Your password, once more" type="password" autoComplete="current-password" autoFocus value={password} onChange={(event) => { setPassword(event.target.value); setError(null); }} />
      </form>
      {error ? <Failure error={error} /> : null}
    </Dialog>
  );
}
