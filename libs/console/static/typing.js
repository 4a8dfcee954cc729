// What was typed and is not saved yet, kept in the browser: for whoever comes back after a lost connection, an ended session or a conflict.

const PREFIX = "omnijourney ";

/** Keeps the values of a form, typed over the state that `etag` names. */
export function keep(action, etag, values) {
  try {
    localStorage.setItem(PREFIX + action, JSON.stringify({ etag, values }));
  } catch {
    // No room, or not allowed: then it is kept on the page only.
  }
}

/** What is kept of a form: `{etag, values}`; null for nothing. */
export function kept(action) {
  try {
    const found = JSON.parse(localStorage.getItem(PREFIX + action));
    return Array.isArray(found?.values) ? found : null;
  } catch {
    return null;
  }
}

export function forget(action) {
  localStorage.removeItem(PREFIX + action);
}

/** Of all forms: whoever signs out leaves nothing to the next person at this browser. */
export function forgetAll() {
  for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
}
