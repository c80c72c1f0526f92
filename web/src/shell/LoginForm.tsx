import { type FormEvent, useState } from "react";
import type { Me } from "../api/session";
import { Button } from "../ui/Button";
import { TextField } from "../ui/Field";
import styles from "./Login.module.css";
import { ProviderButton, useWays } from "./ProviderLogin";
import { logIn, toLoginSentence } from "./me";

interface Props {
  onDone: (me: Me) => void;
  login?: string;
  /** Keep the page, and log in at the provider beside it. */
  onBeside?: () => void;
}

/** The ways in: the identity provider where there is one, and login and password where these count. */
export function LoginForm(props: Props) {
  const ways = useWays();
  const [shown, setShown] = useState(false);
  const { provider = "", passwords = true } = ways.data ?? {};
  if (ways.isPending) return <p role="status">Reading how people log in …</p>;
  if (!provider) return <PasswordForm {...props} />;
  return (
    <>
      <div className={styles.form}>
        <ProviderButton label={provider} {...(props.onBeside ? { onBeside: props.onBeside } : {})} />
        {!shown ? (
          <Button look="quiet" onClick={() => setShown(true)}>
            {passwords ? "With a password" : "Administrator: with a password"}
          </Button>
        ) : null}
      </div>
      {shown && !passwords ? <p className={styles.quiet}>Passwords count only for an administrator, until one has come in by {provider}.</p> : null}
      {shown ? <PasswordForm {...props} /> : null}
    </>
  );
}

/** Login and password. */
function PasswordForm({ onDone, login: known = "" }: Props) {
  const [login, setLogin] = useState(known);
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<string | undefined>();
  const [busy, setBusy] = useState(false);
  async function send(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setProblem(undefined);
    try {
      onDone(await logIn(login, password));
    } catch (error) {
      setProblem(toLoginSentence(error));
      setPassword("");
    } finally {
      setBusy(false);
    }
  }
  return (
    <form className={styles.form} onSubmit={(event) => void send(event)}>
      <TextField
        label="Login"
        autoComplete="username"
        required
        autoFocus={known === ""}
        value={login}
        onChange={(event) => setLogin(event.target.value)}
      />
      <TextField
        label="Password"
        type="password"
        autoComplete="current-password"
        required
        autoFocus={known !== ""}
        value={password}
        problem={problem}
        onChange={(event) => setPassword(event.target.value)}
      />
      <Button type="submit" look="main" busy={busy}>
        Log in
      </Button>
    </form>
  );
}
