import { useQuery } from "@tanstack/react-query";
import { createContext, useContext } from "react";
import { client } from "../api/client";
import { noteMode } from "../api/dates";
import { Problem, Unreachable, toProblem } from "../api/problem";
import type { Me } from "../api/session";

const Context = createContext<Me | null>(null);
export const MeProvider = Context;

/** Return who is logged in. */
export function useMe(): Me {
  const me = useContext(Context);
  if (me === null) throw new Error("outside a session");
  return me;
}

/** Whether the person has a right. */
export function useMay(right: string): boolean {
  return useMe().rights.includes(right);
}

/** Ask the server who is logged in; null is nobody. */
export function useAskMe() {
  return useQuery<Me | null>({
    queryKey: ["me"],
    queryFn: async () => {
      const { data, error, response } = await client.GET("/api/me");
      if (response.status === 401) return null;
      if (!response.ok) throw toProblem(response.status, error);
      noteMode((data as Me).mode);
      return data as Me;
    },
    retry: (count, error) => error instanceof Unreachable && count < 3,
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** Log in; returns who that is. */
export async function logIn(login: string, password: string): Promise<Me> {
  const { data, error, response } = await client.POST("/api/login", { body: { login, password } });
  if (!response.ok) throw toProblem(response.status, error);
  noteMode((data as Me).mode);
  return data as Me;
}

/** Say why a login was refused, without saying which half was wrong. */
export function toLoginSentence(error: unknown): string {
  if (error instanceof Problem && error.status === 401) return "Login and password do not belong together, or the account is closed.";
  if (error instanceof Problem && error.status === 429) return "Too many attempts. Wait a minute and try again.";
  if (error instanceof Unreachable) return "The server cannot be reached.";
  return "The login was refused.";
}
