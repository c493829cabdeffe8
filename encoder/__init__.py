"""Everything of Encoder Lens that is not Streamlit: models, traces, measures, figures."""

import os

# Before torch is imported: its threads should sleep while they wait for each other, not spin. With three other
# processes busy on two cores a spinning forward of MiniLM takes 1 to 4 seconds, a sleeping one 17 milliseconds.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
