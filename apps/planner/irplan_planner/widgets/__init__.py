"""The planner's window: widgets draw what the model says and send commands back."""
