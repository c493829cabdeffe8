// What Streamlit runs: the explorer's files stand in one function, which can also write itself into a page of its own.

const program = function program(root, report) {
  /* files */
  return new Explorer(root, report);
};

const explorers = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  if (!explorers.has(parentElement)) explorers.set(parentElement, program(parentElement));
  const explorer = explorers.get(parentElement);
  explorer.report = (choice) => setStateValue("choice", choice);
  explorer.show(data);
  return () => {
    explorer.leave();
    explorers.delete(parentElement);
  };
}
