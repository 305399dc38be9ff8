"""Words everybody shares: types, events, effects, money and errors. Decides nothing."""
