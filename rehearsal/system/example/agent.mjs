// Stands where the product puts its agent.
