// Before the first paint, so that a dark page does not flash white.
try {
  const chosen = localStorage.getItem("sandloop.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be off: the system's choice holds.
}
