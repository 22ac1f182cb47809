"""A classifier of healthy and diseased control wells, and what it says of treated ones."""
